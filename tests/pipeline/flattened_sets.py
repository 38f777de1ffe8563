"""What `prep flatten` made of a tree, read back for the tests."""

from pathlib import Path

from pipeline.store.wording import figures, phrase


def placed(manifest, root):
    return {
        Path(path).relative_to(root).as_posix(): (row.value, phrase(row))
        for path, row in manifest.decisions("imported").items()
        if Path(path).is_relative_to(root)
    }


def tree(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def given(manifest):
    return {path: (row.value, phrase(row), figures(row)) for path, row in manifest.decisions("user_repeats").items()}


def everything(root):
    """Every file, link and special file below a folder, with the bytes of plain files."""
    return {
        str(path).encode("utf-8", "backslashreplace").decode(): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else b""
        for path in root.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
