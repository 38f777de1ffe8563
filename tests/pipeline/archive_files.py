"""Archives with images in them."""

import io
import tarfile
import zipfile

from painted_sets import painted


def png(seed=0):
    stream = io.BytesIO()
    painted(seed, 0.3).save(stream, format="PNG")
    return stream.getvalue()


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def tarred(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in files:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path
