"""The view "Traces" of the explorer in Chromium: trainings by epochs, as the library has them."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.diagnostics.trace_moments import moment_of
from latentmap.explorer import Serving, Session
from latentmap.explorer.trainings import OnlyTrainings, Training
from tests.core.diagnostics.traces_by_hand import trace_by_hand

ODD = "<img src=x onerror=alert(1)>.trace"
TRACES = (trace_by_hand(gates=True), trace_by_hand(noise=True, epochs=6, images=0))

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def page(browser):
    """The page on a telephone in the dark; it complains of nothing."""
    complaints = []
    trainings = tuple(map(Training, ("gated.trace", ODD), TRACES))
    only = OnlyTrainings(trainings, f"latentmap explore --trace gated.trace --trace '{ODD}'")
    with Serving(Session(only)) as serving:
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.address = serving.address
        page.goto(serving.address)
        yield page
        page.close()
    assert complaints == []


def words_of(value):
    """A number as the page writes it: four digits that count."""
    return pytest.approx(value, rel=6e-4)


def require_epoch(page, trace, epoch):
    """The numbers of an epoch stand on the page, as soon as it has them."""
    found = moment_of(trace, epoch)
    active = found.active.sum()
    last = len(trace.epochs.number) - 1
    page.get_by_text(
        f"Epoch {epoch} of {last}, {found.step} steps: {active} of {len(found.active)} variables"
    ).wait_for()
    batch = page.locator("dl > div").evaluate_all(
        "all => all.map(one => [...one.children].map(part => part.textContent))"
    )
    numbers = {name: value for name, value in batch if "variable" not in name}
    assert {name: float(value) for name, value in numbers.items()} == {
        name: words_of(value) for name, value in found.batch.items()
    }
    parts = [found.gain, found.kl, found.mean_variance, found.posterior_variance]
    parts += [] if found.gates is None else [found.gates]
    rows = page.locator("tbody tr").evaluate_all(
        "all => all.map(row => [...row.children].map(cell => cell.textContent))"
    )
    assert len(rows) == trace.latent_dim
    gains = []
    for name, *cells in rows:
        number = int(name.split()[0])
        assert name.endswith("(inactive)") == (not found.active[number])
        assert [float(cell) for cell in cells] == [words_of(part[number]) for part in parts]
        gains.append(found.gain[number])
    assert gains == sorted(gains, reverse=True)
    return dict(batch)


def test_keys_go_through_the_epochs(page):
    trace = TRACES[0]
    require_epoch(page, trace, 4)  # It begins with the last.
    assert page.locator("#tabs").is_hidden()  # There are no models to move codes of.
    page.locator("#epoch").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    require_epoch(page, trace, 2)
    assert page.locator("#epoch").get_attribute("aria-valuetext") == "epoch 2 of 4"
    label = page.locator("canvas").get_attribute("aria-label")
    assert label.startswith("Codes of 5 images in the plane of variables") and "step 20" in label
    page.wait_for_url("**#epoch=2")
    page.keyboard.press("Home")
    require_epoch(page, trace, 0)
    page.keyboard.press("Control+z")
    require_epoch(page, trace, 2)
    page.locator("#drawn").select_option("open")
    page.locator("svg[aria-label^='open gates: a line']").wait_for()
    page.locator("#drawn").select_option("kl")
    page.locator("svg[aria-label^='KL divergence: 3 lines']").wait_for()
    assert page.locator("polyline").count() == 3
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.get_by_role("button", name="Play").wait_for()  # As soon as it has gone through.
    require_epoch(page, trace, 4)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_link_leads_to_an_epoch_of_another_training(page):
    page.goto("about:blank")
    page.goto(f"{page.address}#trace=1&epoch=3&drawn=worth")
    batch = require_epoch(page, TRACES[1], 3)
    worth = moment_of(TRACES[1], 3).worth
    assert batch["variable 1, phase"] == worth["phase"]
    assert float(batch["variable 1, noise"]) == words_of(worth["noise"])
    assert page.locator("#training option:checked").text_content() == ODD
    assert page.locator("#training").input_value() == "1"
    assert page.locator("canvas").is_hidden() and page.locator("img").count() == 0
    page.locator("#training").select_option("0")
    require_epoch(page, TRACES[0], 4)
    page.goto("about:blank")
    page.goto(f"{page.address}#trace=7&epoch=-3&drawn=__proto__")  # What is not there: the last.
    require_epoch(page, TRACES[0], 4)


@pytest.mark.parametrize(("state", "number"), [("epoch=3&drawn=open", 0), ("trace=1&drawn=kl", 1)])
def test_the_command_on_the_page_draws_what_is_seen(page, state, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for trace, name in zip(TRACES, ("gated.trace", ODD), strict=True):
        trace.save(name)
    page.goto("about:blank")
    page.goto(f"{page.address}#start=random&{state}")
    page.get_by_text("As a command").click()
    page.locator(".command code").wait_for()
    words = shlex.split(page.locator(".command code").text_content())
    assert "start" not in words[-3]
    result = CliRunner().invoke(main, [*words[1:], "--json"])
    assert result.exit_code == 0, result.output
    epoch = 3 if number == 0 else 6
    expected = moment_of(TRACES[number], epoch).to_json()
    assert json.loads(result.stdout)["moment"] == json.loads(json.dumps(expected))
    assert Path("picture.png").exists()
