"""The machine in words, for the head of every table of figures."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("torch", "sentence-transformers", "onnxruntime", "faiss-cpu", "streamlit")


def machine() -> str:
    """Processor, what it can do, memory, system and the versions that matter, as two lines."""
    cpu, flags = platform.processor() or "unknown processor", ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in fields.items()}
        cpu, flags = named.get("model name", cpu), named.get("flags", "")
    abilities = [
        word
        for word, flag in (("AVX2", "avx2"), ("AVX-512", "avx512f"), ("VNNI", "avx512_vnni"))
        if flag in flags
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores of {cpu} ({', '.join(abilities) or 'no vector extensions found'}), "
        f"{memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}\n{versions}"
    )
