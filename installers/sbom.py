"""The software bill of materials of a frozen folder: CycloneDX 1.6.

Reads the packages' own metadata inside the folder, and what is carried beside them; About shows
the same.
"""

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import carried

# What the packages above carry inside and name in no metadata of their own.
VENDORED = (
    ("llama.cpp", "llama_cpp_python", "MIT"),
    ("Qt", "PySide6_Essentials", "LGPL-3.0-only"),
)


def component(distribution: importlib.metadata.Distribution) -> dict[str, Any]:
    """One Python package as a component."""
    metadata = distribution.metadata
    name, version = metadata["Name"], distribution.version
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
    }
    fields = {field: metadata[field] or "" for field in metadata}
    licence = fields.get("License-Expression")
    words = licence or fields.get("License", "").split("\n")[0][:100]
    if licence:
        found["licenses"] = [{"expression": words}]
    elif words:
        found["licenses"] = [{"license": {"name": words}}]
    return found


def _carried(internal: Path) -> list[dict[str, Any]]:
    """What carried.py wrote into the folder; nothing where there is no such folder."""
    index = internal / "licences" / carried.INDEX
    return list(json.loads(index.read_text())) if index.is_file() else []


def bill_of_materials(internal: Path, version: str, files: list[Path]) -> str:
    """The document as JSON. internal: the folder with the *.dist-info folders; files: packages,
    given with their hashes."""
    distributions = {
        one.metadata["Name"]: one for one in importlib.metadata.distributions(path=[str(internal)])
    }
    components = [component(one) for _, one in sorted(distributions.items())]
    components += [
        {
            "type": "library",
            "bom-ref": f"{name}@{inside}",
            "name": name,
            "version": distributions[inside].version,
            "licenses": [{"license": {"id": licence}}],
            "description": f"inside {inside}",
        }
        for name, inside, licence in VENDORED
        if inside in distributions
    ]
    components += [
        {
            "type": "library",
            "bom-ref": f"{entry['name']}@carried",
            "name": entry["name"],
            "version": entry["version"],
            "licenses": [{"license": {"name": entry["licence"]}}],
        }
        for entry in _carried(internal)
        if entry["version"]
    ]
    components += [
        {
            "type": "file",
            "bom-ref": file.name,
            "name": file.name,
            "hashes": [
                {"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}
            ],
        }
        for file in files
    ]
    program = {"type": "application", "bom-ref": "stillroom", "name": "Stillroom"}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                **program,
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
    }
    return json.dumps(document, indent=1)
