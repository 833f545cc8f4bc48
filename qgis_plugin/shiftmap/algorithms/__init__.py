"""One file an algorithm. A command that the library does not have makes no algorithm."""

from . import (
    about,
    combine,
    coregister,
    displacement,
    evaluate,
    filter,
    precision,
    profile,
    stack,
    strain,
    synthesize,
    synthesize_field,
    synthesize_insar,
    vectors,
    verify,
)

COMMANDS = [
    precision.Precision,
    evaluate.Evaluate,
    profile.Profile,
    strain.Strain,
    synthesize.Synthesize,
    synthesize_field.SynthesizeField,
    synthesize_insar.SynthesizeInsar,
    coregister.Coregister,
    filter.Filter,
    verify.Verify,
    stack.Stack,
    combine.Combine,
]


def every(library, problem):
    """New objects of all algorithms that `library` (None: there is none, and `problem` says why) can run."""
    yield about.About(library, problem)
    if library is None:
        return
    for method in displacement.methods(library):
        yield displacement.Displacement(library, method)
    for algorithm in COMMANDS:
        if algorithm.command in library.commands:
            yield algorithm(library)
    yield vectors.Vectors()
