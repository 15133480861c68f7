"""The thirteen tasks of Matbench v0.1: columns, units, and the SHA-256 of their files."""

from dataclasses import dataclass
from typing import Literal

TaskName = Literal[
    "matbench_dielectric",
    "matbench_expt_gap",
    "matbench_expt_is_metal",
    "matbench_glass",
    "matbench_jdft2d",
    "matbench_log_gvrh",
    "matbench_log_kvrh",
    "matbench_mp_e_form",
    "matbench_mp_gap",
    "matbench_mp_is_metal",
    "matbench_perovskites",
    "matbench_phonons",
    "matbench_steels",
]


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        input: column of what is given: ``structure`` or ``composition``.
        target: column of what is to be predicted.
        unit: of the target; empty for a pure number and for true or false.
        samples: how many there are.
        sha256: of the file.
    """

    input: str
    target: str
    unit: str
    samples: int
    sha256: str

    @property
    def structures(self) -> bool:
        """Whether samples are structures, not compositions."""
        return self.input == "structure"


TASKS: dict[TaskName, Task] = {
    "matbench_dielectric": Task(
        "structure",
        "n",
        "",
        4_764,
        "83befa09bc2ec2f4b6143afc413157827a90e5e2e42c1eb507ccfa01bf26a1d6",
    ),
    "matbench_expt_gap": Task(
        "composition",
        "gap expt",
        "eV",
        4_604,
        "783e7d1461eb83b00b2f2942da4b95fda5e58a0d1ae26b581c24cf8a82ca75b2",
    ),
    "matbench_expt_is_metal": Task(
        "composition",
        "is_metal",
        "",
        4_921,
        "8f2a4f9bacdcbc5c2c73615629ee7986f09d39bed40ba7db52b61b2889730887",
    ),
    "matbench_glass": Task(
        "composition",
        "gfa",
        "",
        5_680,
        "36beb654e2a463ee2a6572105bea0ca2961eee7c7b26a25377bff2c3b338e53a",
    ),
    "matbench_jdft2d": Task(
        "structure",
        "exfoliation_en",
        "meV/atom",
        636,
        "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf",
    ),
    "matbench_log_gvrh": Task(
        "structure",
        "log10(G_VRH)",
        "log10(GPa)",
        10_987,
        "098af941f4c663270f1fe21abf20ffad6fb85ecbfcba5786ceac03983ac29da7",
    ),
    "matbench_log_kvrh": Task(
        "structure",
        "log10(K_VRH)",
        "log10(GPa)",
        10_987,
        "44b113ddb7e23aa18731a62c74afa7e5aa654199e0db5f951c8248a00955c9cd",
    ),
    "matbench_mp_e_form": Task(
        "structure",
        "e_form",
        "eV/atom",
        132_752,
        "dedcb1d4ba2e3e50dbdd45ba5bc647a00e9c2bcf8f8bf556dc8e92caa39eb21f",
    ),
    "matbench_mp_gap": Task(
        "structure",
        "gap pbe",
        "eV",
        106_113,
        "58b65746bd88329986ed66031a2ac1369c7c522f7bc9f9081528e07097c2c057",
    ),
    "matbench_mp_is_metal": Task(
        "structure",
        "is_metal",
        "",
        106_113,
        "9a028ed5750a4c76ca36e9f3c8d48fe0bf3fb21b76ec2289e58ae7048d527919",
    ),
    "matbench_perovskites": Task(
        "structure",
        "e_form",
        "eV/cell",
        18_928,
        "4641e2417f8ec8b50096d2230864468dfa08278dc9d257c327f65d0305278483",
    ),
    "matbench_phonons": Task(
        "structure",
        "last phdos peak",
        "cm-1",
        1_265,
        "4db551f21ec5f577e6202725f10e34dfc509aa7df3a6bdaac497da7f6dbbb9b3",
    ),
    "matbench_steels": Task(
        "composition",
        "yield strength",
        "MPa",
        312,
        "473bc4957b2ea5e6465aef84bc29bb48ac34db27d69ea4ec5f508745c6fae252",
    ),
}
"""What is known of each task, as Matbench and matminer describe them."""
