"""The leading singular vector of a matrix from which products of vectors are taken one by one.

Shapes: ``p`` rows, ``q`` columns, ``s`` the smaller of both, ``m`` Lanczos steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Up to this size all eigenvectors take no longer.
_SMALL = 192
_STEPS = 160  # Beyond these all eigenvectors take no longer.
_CHECKED = 8  # Steps between looks at what is left.
_CONVERGED = 1e-13  # Of what an eigenvector misses, relative to its eigenvalue.


class LeadingVector:
    """The left singular vector of the largest singular value of a ``matrix`` ``(p, q)``.

    It is found on the smaller side by Lanczos steps (Golub and Van Loan 2013, section 10.1), from
    products ``(s, s)`` that follow the matrix. A small matrix, or one whose largest values are too
    near to each other for that, is decomposed.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        self._needed = _CHECKED  # Steps that the last vector took.
        self._count = 0
        self.refresh()

    def refresh(self) -> None:
        """Takes notice of a change of the matrix."""
        side = self._side()
        self._products = side @ side.T if len(side) > _SMALL else None

    def subtract(self, column: Tensor, row: Tensor) -> None:
        """Takes ``column row'`` from the matrix."""
        if self._products is not None:
            # (A - c r')(A - c r')' = A A' - c d' - d c' with d = A r - |r|^2 c / 2.
            wide = self.matrix.shape[0] <= self.matrix.shape[1]
            c, r = (column, row) if wide else (row, column)
            d = self._side() @ r - r.dot(r) / 2 * c
            self._products.addr_(c, d, alpha=-1).addr_(d, c, alpha=-1)
        self.matrix.addr_(column, row, alpha=-1)

    def find(self) -> Tensor:
        """The vector ``(p,)``, of length 1."""
        side = self._side()
        found = None if self._products is None else self._lanczos(self._products)
        if found is None:
            found = torch.linalg.eigh(side @ side.T).eigenvectors[:, -1]
        if side is self.matrix:
            return found
        left = self.matrix @ found
        return left.div(left.norm())

    def _side(self) -> Tensor:
        p, q = self.matrix.shape
        return self.matrix if p <= q else self.matrix.T

    def _lanczos(self, products: Tensor) -> Tensor | None:
        """The leading eigenvector; None where it does not show in time.

        Steps are orthogonal to the last two alone: what is lost of the rest is along vectors that
        are found already (Paige 1980), and the first of these is all that is asked for.
        """
        basis = products.new_empty(_STEPS, len(products))
        diagonal: list[Tensor] = []
        beside: list[Tensor] = []
        self._count += 1
        generator = torch.Generator().manual_seed(self._count)
        # At random, so that the leading direction is not hidden from it.
        step = torch.randn(len(products), generator=generator, dtype=torch.float64).to(products)
        length = step.norm()
        for m in range(_STEPS):
            torch.div(step, length, out=basis[m])
            step = torch.mv(products, basis[m])
            if m:
                step.addcmul_(basis[m - 1], length, value=-1)
            along = step.dot(basis[m])
            step.addcmul_(basis[m], along, value=-1)
            length = step.norm()
            diagonal.append(along)
            beside.append(length)
            ended = not float(length) > 0  # The steps have come to all directions there are.
            due = (m + 1) % _CHECKED == 0 and m + 1 >= self._needed - _CHECKED
            if ended or due:
                found = _first(diagonal, beside)
                if found is not None:
                    self._needed = m + 1
                    vector = found.to(products) @ basis[: m + 1]
                    return vector.div(vector.norm())
        return None


def _first(diagonal: list[Tensor], beside: list[Tensor]) -> Tensor | None:
    """The leading eigenvector ``(m,)`` of the tridiagonal matrix of ``m`` steps, where the next
    step would not change it.
    """
    # Below the diagonal is enough.
    small = torch.diag(torch.stack(diagonal)) + torch.diag(torch.stack(beside[:-1]), -1)
    values, vectors = torch.linalg.eigh(small.cpu())
    missed = float(beside[-1]) * float(vectors[-1, -1].abs())
    return vectors[:, -1] if missed <= _CONVERGED * float(values[-1]) else None
