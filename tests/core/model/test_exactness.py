"""The settings under which networks run; they can be set without a GPU, too."""

import json
import subprocess
import sys

# In a process of its own, since the settings are of the process.
SCRIPT = """
import json
import torch
from latentmap.model.exactness import exact_arithmetic

cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
new = hasattr(matmul, "fp32_precision")

def settings():
    seen = [cudnn.deterministic, cudnn.benchmark]
    if new:
        seen += [matmul.fp32_precision, cudnn.conv.fp32_precision]
    try:
        return [*seen, torch.get_float32_matmul_precision(), cudnn.allow_tf32]
    except RuntimeError:
        return seen

def inside(device, full):
    with exact_arithmetic(torch.device(device), full=full):
        return settings()

found = []
for mode in ("highest", "high", "medium", "new"):
    cudnn.benchmark = True
    if mode != "new":
        torch.set_float32_matmul_precision(mode)
    elif new:
        torch.backends.fp32_precision = "tf32"
    before = settings()
    seen = {place: inside(*place) for place in (("cuda", True), ("cuda", False), ("cpu", True))}
    found.append([before, *seen.values(), settings()])
print(json.dumps([new, found]))
"""


def test_neither_tf32_nor_chance_is_let_in_and_settings_are_put_back():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    new, found = json.loads(run.stdout)
    for before, exact, loose, on_processor, after in found:
        assert before == after == on_processor
        assert exact[:2] == loose[:2] == [True, False]
        assert loose[2:] == before[2:]
        assert not new or "tf32" not in exact
        # The older settings, where they can be read.
        assert exact[4 if new else 2 :] in ([], ["highest", False])
