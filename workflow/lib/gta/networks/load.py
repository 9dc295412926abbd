"""Loading networks whole: whatever a file lacks would be made up, with nothing but a warning."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from gta.errors import UserError
from gta.networks.folder import own_code

#: Layers of transformers' base models that no hidden state depends on, so that nobody reads them.
UNREAD = ("pooler", "contact_head")
#: Buffers that transformers computes from the configuration where a file does not have them, by the last parts of their names.
COMPUTED = ("inv_freq", "position_ids")
#: Buffers of older releases that are computed, too: masks, and tables of rotary positions.
MASKS = ("masked_bias", "causal_mask", "attn_mask", "cos_cached", "sin_cached", "num_batches_tracked")
#: A list of blocks and the number of one of them, in the name of a layer.
IN_LIST = re.compile(r"(.+?)\.\d+\.")
#: Layers that turn hidden states into words.
HEADS = ("lm_head", "embed_out", "output_projection")


def load_network(
    kind: Any,
    folder: Path,
    key: str,
    what: str = "network",
    unread: Iterable[str] = UNREAD,
    where: Path | None = None,
    form: str = "in safetensors",
    **options: Any,
) -> tuple[Any, list[str]]:
    """Load a network with `from_pretrained` and refuse it unless every weight that is read is in its file.

    Args:
        kind: Class with `from_pretrained` as transformers has it: an auto class, or a model's own.
        folder: Folder of the network.
        key: Key of the configuration that names it, for messages.
        what: What it should be, for messages.
        unread: First parts of the names of weights that nobody reads: they may be missing, and are zero then, so that equal files
            make equal networks.
        where: File that messages name in the folder's place.
        form: How the network is kept, for messages.
        options: Further arguments of `from_pretrained`.

    Returns:
        The network; and the names of the weights that nobody reads and that the file lacks.

    Raises:
        UserError: one sentence; if weights are missing or of other sizes it names one of them.
    """
    place = where or folder
    try:
        with _own_words():
            network, report = kind.from_pretrained(
                folder,
                output_loading_info=True,
                # Reported, and refused below, in place of a long message about all of them.
                ignore_mismatched_sizes=True,
                **options,
            )
    except ImportError as error:
        raise UserError(
            f"{key}: {place} needs a package that is not installed ({first_line(error)}): choose another model, or install it."
        ) from error
    except (MemoryError, torch.OutOfMemoryError):
        raise
    # Whatever files of others may hold: transformers, tokenizers and safetensors raise errors of many kinds, bare ones included.
    except Exception as error:
        raise UserError(
            f"{key}: {place} holds no whole {what} {form} ({first_line(error)}): download it again, or choose one that"
            " transformers knows without code from its folder."
        ) from error
    missing = {name for name in map(str, report["missing_keys"]) if not name.endswith(COMPUTED)}
    # A weight that has several names is kept under one of them.
    state = network.state_dict(keep_vars=True)
    known = {id(tensor) for name, tensor in state.items() if name not in missing}
    missing -= {name for name in missing if name in state and id(state[name]) in known}
    spared = sorted(name for name in missing if name.split(".")[0] in set(unread))
    refuse_incomplete(
        f"{key}: {place}",
        what,
        missing=missing - set(spared),
        mismatched=_mismatched(report.get("mismatched_keys") or ()),
        unexpected=report.get("unexpected_keys") or (),
        total=len(state),
    )
    refuse_dropped(f"{key}: {place}", what, state, report.get("unexpected_keys") or ())
    errors = [str(error) for error in report.get("error_msgs") or ()]
    if errors:
        raise UserError(f"{key}: {place} holds no whole {what} ({errors[0].strip().splitlines()[0]}): download it again.")
    with torch.no_grad():
        for name in spared:
            if name in state:
                state[name].zero_()
    return network, spared


def load_state(module: nn.Module, state: Mapping[str, torch.Tensor], where: str, what: str, advice: str) -> None:
    """Give a module its weights and refuse them unless all of them are there, in the right sizes, and no others.

    Args:
        module: The module, changed in place.
        state: Weights by name.
        where: File or folder, for messages, with the key of the configuration in front where there is one.
        what: What it should be, for messages.
        advice: What to do about it.

    Raises:
        UserError: naming one weight; the module may then have some of the weights.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    refuse_incomplete(
        where,
        what,
        missing=expected.keys() - given.keys(),
        mismatched={
            name: (shape, expected[name]) for name, shape in given.items() if name in expected and shape != expected[name]
        },
        unexpected=given.keys() - expected.keys(),
        total=len(expected),
        advice=advice,
        only=True,
    )
    try:
        module.load_state_dict(dict(state))
    except RuntimeError as error:
        raise UserError(f"{where} holds no whole {what} ({first_line(error)}): {advice}.") from error


def refuse_incomplete(
    where: str,
    what: str,
    missing: Iterable[str],
    mismatched: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    unexpected: Iterable[str],
    total: int,
    advice: str = "download it again, or choose another",
    only: bool = False,
) -> None:
    """Refuse a network whose file lacks weights, or has some of other sizes.

    Args:
        where: File or folder, for the message.
        what: What it should be.
        missing: Names of weights that are read and that the file lacks.
        mismatched: Name of each weight of another size: its shape in the file, and the one that is needed.
        unexpected: Names of weights in the file that the network does not have.
        total: How many weights it has.
        advice: What to do about it.
        only: Whether weights that the network does not have are refused, too.

    Raises:
        UserError: naming one weight.
    """
    missing, unexpected = sorted(missing), sorted(unexpected)
    if mismatched:
        name = min(mismatched)
        stored, needed = mismatched[name]
        sizes = f"{name!r} is {_size(stored)} in the file and {_size(needed)} in the class of transformers"
        if only:
            raise UserError(f"{where} holds another {what}: {name!r} is {_size(stored)}, not {_size(needed)}: {advice}.")
        key, _, folder = where.partition(": ")
        raise UserError(own_code(Path(folder), key, f"{sizes}, or config.json is of another model"))
    if missing:
        names = f"the weights {missing[0]!r}" + (f" and {len(missing) - 1} others" if len(missing) > 1 else "")
        # Nearly everything under other names is another class, or a file that was saved from within a larger one.
        others = [name for name in unexpected if name.split(".")[0] not in HEADS]
        other = f" (its file has {others[0]!r} and the like instead)" if others and 2 * len(missing) > total else ""
        raise UserError(f"{where} lacks {names} of its {what}{other}: {advice}.")
    if only and unexpected:
        raise UserError(f"{where} holds another {what}: it has the weights {unexpected[0]!r}, which this one has not: {advice}.")


def refuse_dropped(where: str, what: str, network: Iterable[str], unexpected: Iterable[str]) -> None:
    """Refuse a file that has more weights of blocks or layers than the network: leaving them out makes another network.

    Heads and other layers behind the blocks may be left out, and so may what is computed from the configuration.

    Args:
        where: File or folder, for the message.
        what: What it should be.
        network: Names of the weights of the network.
        unexpected: Names of weights in the file that it does not have.

    Raises:
        UserError: naming one of them.
    """
    layers = {name.rpartition(".")[0] for name in network} - {""}
    lists = {found[1] for layer in layers if (found := IN_LIST.match(f"{layer}."))}
    # File or network may have a prefix that the other has not, such as that of a class with a head.
    bare_layers, bare_lists = ({name.partition(".")[2] for name in names} for names in (layers, lists))
    unexpected = set(unexpected)
    for name in sorted(unexpected):
        layer, _, last = name.rpartition(".")
        mask = last == "bias" and f"{layer}.weight" not in unexpected and layer not in layers
        if name.split(".")[0] in HEADS or last in (*COMPUTED, *MASKS) or mask:
            continue
        found = IN_LIST.match(f"{layer}.")
        block = "" if found is None else found[1]
        places = [(layer, layers), (layer.partition(".")[2], layers), (layer, bare_layers)]
        places += [(block, lists), (block.partition(".")[2], lists), (block, bare_lists)]
        if any(place and place in known for place, known in places):
            raise UserError(
                f"{where} holds another {what} than its config.json describes: its file has {name!r}, which this one has not, so"
                " that it would be left out: download it again, or choose another."
            )


def read_safetensors(path: Path, where: str, what: str, advice: str) -> dict[str, torch.Tensor]:
    """Read all weights of a safetensors file.

    Args:
        path: The file.
        where: File or folder, for messages.
        what: What it should hold.
        advice: What to do if it does not.

    Raises:
        UserError: if it is absent, cut off or something else.
    """
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{where} holds no whole {what} ({first_line(error)}): {advice}.") from error


@contextmanager
def _own_words() -> Iterator[None]:
    """Keep transformers from listing what is missing, of which more is said here than that it may be ignored."""
    from transformers import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says anything, or its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300].rstrip(" .:")


def _mismatched(reported: Iterable[Any]) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Weights of other sizes as transformers reports them: (name, shape in the file, shape needed)."""
    return {str(name): (tuple(stored), tuple(needed)) for name, stored, needed in reported}


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"
