"""What needs a GPU: `make gpu-check` (check.py) and the tests of this folder, collected only where one can be used."""
