import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "1_read_crystals.py": [
        "Fe0.947O, 5.72 g/cm³, disordered",
        "space group Fm-3m (225)",
        "unknown element 'Q'",
    ],
    "2_powder_pattern.py": ["31.73°      100.0", "drew halite.png"],
    "3_folder_to_store.py": ["3 records, 1 rejected", "profiles: (3, 1024)", "measured: ['halite']"],
    "4_train_tiny.py": ["step 10 of 10", "like ZnS, without cadmium: ZnS"],
    "5_own_encoder_and_window.py": ["step 60, loss", "structures find their formula"],
    "6_predict_property.py": ["structure        MAE 3.", "training median  MAE 1", "RbBr: "],
}


def test_every_example_is_run():
    assert sorted(p.name for p in EXAMPLES.glob("*.py")) == sorted(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_the_example_runs(name, tmp_path):
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(tmp_path),
        "PRISMAT_CACHE": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [words for words in SAYS[name] if words not in done.stdout] == []
    # torch makes an empty cache folder of its own.
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith("torchinductor")] == []
