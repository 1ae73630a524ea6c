"""Models of other libraries, one module a library, behind the contract ``latentmap.model.Model``.

A module is imported when a reference of its scheme is loaded (``latentmap.encoders.references``),
and its library with it. What comes from a folder or a hub is read inertly: safetensors and JSON.
"""
