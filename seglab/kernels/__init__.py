"""The arithmetic of methods whose own file would be long with it; each under its method's name.

`seglab.methods.kmeans` has the idea, the state and the steps; `seglab.kernels.kmeans` the matrix products. What a
reader or a chapter needs of it, the method's module offers too.
"""

__all__: list[str] = []
