import subprocess
import sys


def test_measuring_needs_neither_torch_nor_matplotlib_nor_polars():
    code = (
        "import sys, polyclinic.evaluation as e; e.evaluate_binary([0, 1] * 20, [.2, .7] * 20, resamples=100);"
        "print(*{'torch', 'matplotlib', 'polars', 'sklearn', 'pandas', 'lifelines'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
