"""What `latentmap encode` does by shards: plans them, makes some, or has workers make all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from latentmap.cli.data_options import DataOptions
from latentmap.cli.options import PRECISIONS, CoderOptions, Loading
from latentmap.cli.output import print_json, say, warn, warn_skipped
from latentmap.cli.progress import progress_bar
from latentmap.cli.sharding import Place, Sharding, ShardSetup, counts_of, loaded_models
from latentmap.errors import CacheError

if TYPE_CHECKING:
    from latentmap.cache import LatentCache
    from latentmap.cache.plan import Plan
    from latentmap.images import ImageParts
    from latentmap.model import Model


class ShardedEncoding:
    """One call of `latentmap encode` with the options of shards."""

    def __init__(
        self,
        references: tuple[str, ...],
        data: DataOptions,
        coding: CoderOptions,
        loading: Loading,
        sharding: Sharding,
        threads: int | None,
    ) -> None:
        from latentmap.cache import LatentCache

        self._references, self._data, self._sharding = references, data, sharding
        self._coding, self._loading, self._threads = coding, loading, threads
        self._cache = LatentCache(coding.cache, notify=warn)

    def run(self, *, as_json: bool) -> None:
        """Does what is asked for, and says what it was."""
        from latentmap.cache.shard_driver import start_plan
        from latentmap.images.parts import counts_in

        if self._sharding.place is not None:
            self._make(self._sharding.place, as_json)
            return
        self._sharding.require()
        models = loaded_models(self._references, self._data, self._loading)
        with progress_bar("counting", "files") as progress:
            images = self._data.parts(progress=progress)
        plan = self._planned(models, images)
        self._require_contents(plan, images)
        start_plan(plan, self._cache, counts_in(images))
        if self._sharding.plan:
            self._say_plan(plan, as_json)
            return
        del models, images  # The workers have their own.
        self._carry_out(plan, as_json)

    def _planned(self, models: Sequence[Model], images: ImageParts) -> Plan:
        from latentmap.cache.planning import plan_shards

        precision: Any = self._coding.precision or PRECISIONS[0]
        with progress_bar("planning") as progress:
            return plan_shards(
                models,
                images,
                shard_images=self._sharding.shard_images,
                batch_size=self._coding.batch_size,
                precision=precision,
                progress=progress,
            )

    def _require_contents(self, plan: Plan, images: ImageParts) -> None:
        """Refuses codes that are there of images that were changed since.

        Raises:
            CacheError: there are such ones.
        """
        from latentmap.cache.planned_entries import require_contents
        from latentmap.cache.shards import DamageError

        for entry in plan.entries:
            with suppress(DamageError):  # Which the commit finds, too.
                manifest = self._cache.entries.manifest(entry.key.id)
                if manifest is not None:
                    require_contents(manifest, images, self._cache)

    def _say_plan(self, plan: Plan, as_json: bool) -> None:
        if as_json:
            print_json(
                {
                    "cache": str(self._cache.path),
                    "plan": plan.id,
                    "data": plan.data,
                    "images": plan.images,
                    "shards": len(plan),
                    "shard_images": plan.shard_images,
                    "batch_size": plan.batch_size,
                    "entries": [entry.key.id for entry in plan.entries],
                }
            )
            return
        say(
            f"{self._cache.path}: plan {plan.id} of {plan.images} images in {len(plan)} shards of "
            f"{plan.shard_images}; any worker makes its part with this command and --shard I/N or "
            "--shard auto in place of --plan"
        )

    def _make(self, place: Place, as_json: bool) -> None:
        """Makes the shards of one worker."""
        from latentmap.cache.shard_work import encode_shard

        loading = _on_own_gpu(self._loading, place)
        models = loaded_models(self._references, self._data, loading)
        plan, images = self._found(models)
        if plan is None:
            if as_json:
                print_json(
                    {"cache": str(self._cache.path), "plan": None, "shards": [], "images": 0}
                )
            else:
                say(f"{self._cache.path}: all shards of these images are committed")
            return
        numbers = place.share(len(plan))
        done, total = 0, sum(stop - start for start, stop in map(plan.range, numbers))
        with progress_bar("encoding") as progress:
            progress(0, total)
            for number in numbers:
                start, stop = plan.range(number)
                encode_shard(
                    plan,
                    number,
                    models,
                    images,
                    self._cache,
                    on_error=self._data.on_error,
                    threads=self._threads,
                    progress=_after(progress, done, total),
                )
                done += stop - start
        if as_json:
            print_json(
                {
                    "cache": str(self._cache.path),
                    "plan": plan.id,
                    "place": [place.number, place.count],
                    "shards": list(numbers),
                    "images": total,
                }
            )
            return
        which = f"{numbers[0]} to {numbers[-1]}" if numbers else "none"
        say(
            f"{self._cache.path}: shards {which} of {len(plan)} of plan {plan.id} are there, "
            f"{total} images; `latentmap cache commit` takes in what all workers made"
        )

    def _found(self, models: Sequence[Model]) -> tuple[Plan | None, ImageParts]:
        """The plan that was made with this command, None where it is done; and its images.

        Raises:
            CacheError: there is none.
        """
        from latentmap.cache.plan_folder import find_plans

        plans = find_plans(self._cache.path)
        keys = [model.fingerprint for model in models]
        of_models = [plan for plan in plans if [one.key.model for one in plan.entries] == keys]
        fitting = [plan for plan in of_models if not self._other_than(plan)]
        images = self._data.parts(counts_of(fitting[::-1], self._cache))
        same = [plan for plan in fitting if plan.images == len(images)]
        for plan in reversed(same):
            if plan is same[0] or plan.is_of(images):
                return plan, images
        if fitting:
            raise CacheError(
                f"the plan {fitting[-1].id} in {self._cache.path} is of {fitting[-1].images} "
                f"images, {fitting[-1].data}, and these are {len(images)}, {images.choice}: give "
                "the images that were planned, or plan these with --plan in place of --shard"
            )
        done = self._planned(models, images)
        manifests = [self._cache.entries.manifest(entry.key.id) for entry in done.entries]
        if all(manifest is not None and manifest.complete for manifest in manifests):
            return None, images
        if of_models:
            plan = of_models[-1]
            options = " and ".join(self._other_than(plan))
            raise CacheError(
                f"the plan {plan.id} in {self._cache.path} has {options}: "
                "give the same here, or plan with these options (--plan in place of --shard)"
            )
        others = ", ".join(f"{plan.id} ({plan.data})" for plan in plans) or "none"
        raise CacheError(
            f"{self._cache.path} has no plan for these models; the plans there are: {others}. Plan "
            "first, with this command and --plan in place of --shard"
        )

    def _other_than(self, plan: Plan) -> list[str]:
        """The options of a plan that this command contradicts."""
        said = self._sharding.shard_images
        same = {
            f"--precision {plan.precision}": plan.precision
            == (self._coding.precision or PRECISIONS[0]),
            f"--batch-size {plan.batch_size}": self._coding.batch_size in (None, plan.batch_size),
            f"--shard-images {plan.shard_images}": said is None
            or -(-said // plan.batch_size) * plan.batch_size == plan.shard_images,
        }
        return [option for option, fits in same.items() if not fits]

    def _carry_out(self, plan: Plan, as_json: bool) -> None:
        """Has all shards made by workers, and commits them."""
        from latentmap.cache.shard_driver import carry_out

        setup = ShardSetup(
            plan.id,
            self._references,
            self._data,
            self._coding,
            self._loading,
            os.getcwd(),  # noqa: PTH109  # a text, for workers of any system
            self._threads or self._sharding.threads,
        )
        gpus = self._loading.device.startswith("cuda")
        with progress_bar("encoding") as progress:
            computed = carry_out(
                plan,
                self._cache,
                lambda numbers: self._sharding.run(setup, numbers, gpus=gpus),
                progress=progress,
                notify=warn,
            )
        _say_codes(self._cache, plan, computed, self._references, as_json)


def _say_codes(
    cache: LatentCache, plan: Plan, computed: int, references: Sequence[str], as_json: bool
) -> None:
    """The codes that are there, as `latentmap encode` says it without shards."""
    said: list[dict[str, Any]] = []
    skipped: list[str] = []
    for reference, entry in zip(references, plan.entries, strict=True):
        manifest = cache.entries.manifest(entry.key.id)
        assert manifest is not None
        names = [skip.id for skip in manifest.skipped]
        skipped += names
        new = max(computed - len(names), 0)
        said.append(
            {
                "model": reference,
                "fingerprint": entry.key.model,
                "space": entry.space.kind,
                "n": manifest.rows,
                "computed": min(new, manifest.rows),
                "dim": entry.space.dim,
                "skipped": names,
            }
        )
        if not as_json:
            there = manifest.rows - min(new, manifest.rows)
            say(
                f"{cache.path}: {manifest.rows} codes in {entry.space}, of which {there} were "
                f"there and {min(new, manifest.rows)} were computed"
            )
    if as_json:
        print_json({"cache": str(cache.path), "plan": plan.id, "shards": len(plan), "codes": said})
    else:
        warn_skipped(list(dict.fromkeys(skipped)))


def _after(
    progress: Callable[[int, int], None], before: int, total: int
) -> Callable[[int, int], None]:
    return lambda done, _: progress(before + done, total)


def _on_own_gpu(loading: Loading, place: Place) -> Loading:
    """The same loading, on the GPU of a worker's place on its machine."""
    if loading.device != "cuda" or place.local is None:
        return loading
    import torch

    return Loading(f"cuda:{place.local % torch.cuda.device_count()}", loading.image_size)
