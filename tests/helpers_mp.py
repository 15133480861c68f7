"""The Materials Project for tests: its REST interface with a key, and its open data, on a fake server.

Documents are what pymatgen itself writes: ``Structure``, ``CompleteDos`` and ``Chgcar``.
"""

import gzip
import json

import numpy as np
from monty.json import MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.core import Spin
from pymatgen.electronic_structure.dos import CompleteDos, Dos
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import Chgcar

from helpers_server import Answer
from prismat.fetch.client import Client, ClientSettings
from prismat.sources.mp_api import api_client

KEY = "0123456789abcdef0123456789abcdef"
ROCK_SALTS = [("Na", "Cl", 5.64), ("K", "Cl", 6.29), ("Li", "F", 4.03), ("Mg", "O", 4.21), ("Ca", "O", 4.81)]
ROCK_SALTS += [("Sr", "O", 5.16), ("Ba", "O", 5.54), ("Na", "F", 4.63), ("Pb", "S", 5.93), ("Ag", "Cl", 5.55)]


def structure(number):
    a, b, edge = ROCK_SALTS[number]
    lattice = Lattice(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * edge / 2)
    return Structure(lattice, [a, b], [[0, 0, 0], [0.5] * 3])


def summary(number):
    """A document of /materials/summary/."""
    elastic = {"voigt": 30.0, "reuss": 28.0, "vrh": 29.0} if number == 0 else None
    return {
        "material_id": f"mp-{100 + number}",
        "structure": structure(number).as_dict(),
        "formation_energy_per_atom": -2.0 + number / 10,
        "energy_above_hull": number / 100,
        "band_gap": 5.0 - number / 10,
        "density": float(structure(number).density),
        "total_magnetization": 0.0,
        "bulk_modulus": elastic,
        "shear_modulus": elastic,
        "theoretical": number % 2 == 1,
        "last_updated": {"$date": "2025-01-02T03:04:05Z"},
        "builder_meta": {"database_version": "2025.09.25", "license": "BY-NC" if number == 9 else "BY-C"},
    }


def packed(payload):
    return gzip.compress(json.dumps(payload, cls=MontyEncoder).encode(), mtime=0)


def pymatgen_dos(number):
    """A spin-polarised DOS of two bands, Fermi level at 1.5 eV."""
    energy = np.linspace(-12, 15, 271)
    up = np.exp(-((energy + 2) ** 2)) + np.exp(-((energy - 7) ** 2))
    total = Dos(1.5, energy, {Spin.up: up, Spin.down: 0.5 * up})
    return CompleteDos(structure(number), total, {})


def pymatgen_chgcar(number):
    """A density with 8 electrons in the cell."""
    x = np.arange(12) / 12
    wave = 1 + 0.5 * np.cos(2 * np.pi * x)
    total = 8 * wave[:, None, None] * wave[None, :, None] * np.ones(12)
    return Chgcar(Poscar(structure(number)), {"total": total, "diff": np.zeros((12, 12, 12))})


class MpServer:
    """Routes of both services; documents and files may be changed before they are asked for."""

    def __init__(self, server, page=4):
        self.server, self.page = server, page
        self.documents = [summary(n) for n in range(10)]
        self.descriptions = {
            f"mp-{100 + n}": f"{ROCK_SALTS[n][0]} bonds to six neighbours." for n in range(9)
        }
        self.dos_tasks = {"mp-100": "mp-900", "mp-101": "mp-901", "mp-102": "mp-902"}
        self.calc_types = {
            "mp-100": {
                "mp-700": "GGA Static",
                "mp-800": "GGA Static",
                "mp-750": "GGA Structure Optimization",
            },
            "mp-101": {"mp-801": "GGA+U Static"},
            "mp-102": {"mp-702": "GGA Structure Optimization"},
        }
        self.updated = {"mp-700": "2019-01-01T00:00:00Z", "mp-800": {"$date": "2024-01-01T00:00:00Z"}}
        self.files = {
            "/open/dos/mp-900.json.gz": packed({"task_id": "mp-900", "data": pymatgen_dos(0).as_dict()}),
            "/open/dos/mp-901.json.gz": packed(pymatgen_dos(1).as_dict()),
            "/open/chgcars/mp-800.json.gz": packed({"fs_id": "6", "data": pymatgen_chgcar(0).as_dict()}),
        }
        parts = {"summary": self._summary, "robocrys": self._robocrys, "core": self._core}
        parts |= {"electronic_structure": self._electronic, "tasks": self._tasks}
        for name, answer in parts.items():
            server.routes[f"/materials/{name}/"] = lambda r, answer=answer: self._with_key(r, answer)
        server.routes["/open/"] = self._file

    def clients(self, waits=None):
        """Clients that never wait; ``waits`` collects how long they would have."""
        settings = ClientSettings(per_second=1e6, attempts=3, timeout=5.0)
        sleep = (lambda _: None) if waits is None else waits.append
        return api_client(self.server.url, settings, sleep), Client(settings, sleep=sleep)

    def asked(self, name):
        return self.server.asked(f"/materials/{name}/")

    def _with_key(self, request, answer):
        keys = [value for name, value in request.headers.items() if name.lower() == "x-api-key"]
        if keys != [KEY]:
            return Answer.json({"message": "Invalid authentication credentials"}, 401)
        rows, total = answer(request.query)
        return Answer.json({"data": rows, "meta": {"api_version": "0.86", "total_doc": total}})

    def _summary(self, query):
        skip, limit = int(query["_skip"][0]), int(query["_limit"][0])
        rows = self.documents[skip : skip + min(limit, self.page)]
        fields = query["_fields"][0].split(",")
        return [{k: v for k, v in row.items() if k in fields} for row in rows], len(self.documents)

    def _robocrys(self, query):
        ids = [i for i in query["material_ids"][0].split(",") if i in self.descriptions]
        return [{"material_id": i, "description": self.descriptions[i]} for i in reversed(ids)], len(ids)

    def _electronic(self, query):
        rows = [
            {"material_id": i, "dos": {"total": {"1": {"task_id": task, "efermi": 1.5}}, "elemental": {}}}
            for i, task in self.dos_tasks.items()
            if i in query["material_ids"][0].split(",")
        ]
        return rows, len(rows)

    def _core(self, query):
        ids = query["material_ids"][0].split(",")
        rows = [{"material_id": i, "calc_types": c} for i, c in self.calc_types.items() if i in ids]
        return rows, len(rows)

    def _tasks(self, query):
        ids = query["task_ids"][0].split(",")
        rows = [{"task_id": i, "last_updated": d} for i, d in self.updated.items() if i in ids]
        return rows, len(rows)

    def _file(self, request):
        if any(name.lower() == "x-api-key" for name in request.headers):
            return Answer(b"the key was sent to the wrong place", 400)
        content = self.files.get(request.path)
        return Answer(content) if content else Answer(b"<Error><Code>NoSuchKey</Code></Error>", 404)
