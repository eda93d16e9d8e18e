"""Files of a Debian package, without root and without installing it.

Some networks let nothing through but the mirror of the distribution. apt itself checks the
package's signature; there is no library on PyPI that does.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from pathlib import Path

from ..errors import DataNotFoundError

_APT_SECONDS = 600


def unpack_package(package: str, folder: Path) -> Path:
    """Download a package with apt-get and unpack it.

    Parameters
    ----------
    package : str
        Its name.
    folder : Path
        An empty folder, where the package and its files go.

    Returns
    -------
    Path
        The folder in `folder` that stands for ``/``.

    Raises
    ------
    DataNotFoundError
        This system has no apt-get, or it cannot supply the package; the message says why.
    """
    what = f"Debian package {package}"
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise DataNotFoundError(f"{what}: this system has no {' and no '.join(missing)}")
    run = partial(
        subprocess.run, cwd=folder, check=True, capture_output=True, text=True, timeout=_APT_SECONDS
    )
    root = folder / "root"
    try:
        run(["apt-get", "download", package])
        for file in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", file.name, root.name])
    except subprocess.CalledProcessError as error:
        raise DataNotFoundError(f"{what}: {error.stderr.strip() or error}") from error
    except subprocess.TimeoutExpired as error:
        raise DataNotFoundError(f"{what}: not finished after {error.timeout:g} s") from error
    return root
