"""The ingest stage. First of all it keeps ONNX Runtime from reporting home, whoever imports it."""

import os

# onnxruntime's wheels have telemetry switched on; it reads this once, when it is imported first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
