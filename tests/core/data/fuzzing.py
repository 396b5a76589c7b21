"""Write damaged files, load them in a child process and gather what came of each."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from tests.core.data.mutator import good_files, mutate
from tests.core.data.odd_file_runner import run_in_child

_FILES_AT_ONCE = 500
_CHECKED = (".gz", ".mgz", ".png")


@dataclass
class Tried:
    """Results of the mutations, in order, and of the good files themselves."""

    unharmed: dict = field(default_factory=dict)
    results: list = field(default_factory=list)

    @property
    def silent(self):
        """Files of a kind with checksums that loaded with values other than a good file's."""
        # A splice may put a whole good file, checksums and all, before the rest of another.
        good = {result["sha256"] for result in self.unharmed.values()}
        return [
            result
            for result in self.results
            if result["outcome"] == "load"
            and result["file"].endswith(_CHECKED)
            and result["sha256"] not in good
        ]


def fuzz(mutations, folder, *, report=lambda done: None):
    """Try the (seed, number) ``mutations`` and return what came of them.

    Parameters
    ----------
    report : callable
        Called with how many are done, now and then.
    """
    files, tried = good_files(), Tried()
    names = list(files)
    found = run_in_child([_write(folder / "good" / name, files[name]) for name in names])
    tried.unharmed = dict(zip(names, found, strict=True))
    for start in range(0, len(mutations), _FILES_AT_ONCE):
        jobs, facts = [], []
        for seed, number in mutations[start : start + _FILES_AT_ONCE]:
            name, members, how = mutate(files, number, seed=seed)
            jobs.append(_write(folder / f"{seed}_{number}", members))
            facts.append({"seed": seed, "number": number, "file": name, "how": how})
        found = run_in_child(jobs)
        tried.results += [result | fact for result, fact in zip(found, facts, strict=True)]
        for _, path in jobs:
            shutil.rmtree(path.parent, ignore_errors=True)
        report(len(tried.results))
    return tried


def _write(folder, members):
    folder.mkdir(parents=True)
    for name, data in members.items():
        (folder / name).write_bytes(data)
    first = folder / min(members)
    kinds = dict.fromkeys((".png", ".jpg", ".tif"), "image") | {".dcm": "dicom"}
    return kinds.get(first.suffix, "nifti"), first
