"""Expression on the scale that models predict: the natural logarithm of TPM, without hidden factors.

Hidden factors (batch, cell state, sequencing) move many genes together and hide what a person's sequence does to one of them.
They are found as principal components of expression, as is common for eQTL, but fitted on the training people alone.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg
from threadpoolctl import threadpool_limits

from gta.errors import UserError

#: Added to TPM before the logarithm, so that zero has one (Rastogi et al. 2024).
OFFSET = 0.01
#: Standard deviations (ln units) below this are rounding, not variation.
SMALLEST_SD = 1e-9

Array = npt.NDArray[np.float64]


def to_tpm(rpkm: Array) -> Array:
    """Rescale each person's values to a sum of one million over the genes of the matrix: TPM_g = RPKM_g / sum(RPKM) * 1e6.

    Args:
        rpkm: (genes, people); all genes of the matrix, since the sum runs over them.

    Raises:
        UserError: if a person has no value above zero.
    """
    sums = rpkm.sum(axis=0)
    if not (sums > 0).all():
        raise UserError("A person's expression is zero for every gene, so RPKM cannot be rescaled to TPM: exclude the person.")
    return rpkm / sums * 1e6


def log_tpm(tpm: Array) -> Array:
    """ln(TPM + 0.01)."""
    return np.log(tpm + OFFSET)


@dataclass(frozen=True)
class HiddenFactors:
    """What was fitted on the training people.

    Attributes:
        mean: (genes,), ln units.
        sd: (genes,), ln units, of all training people (divided by n, not n - 1); 1 for a gene that does not vary.
        loadings: (genes, K), orthonormal columns; the entry of largest absolute value in each is positive.
        explained: (K,), fraction of the variance of standardised expression.
    """

    mean: Array
    sd: Array
    loadings: Array
    explained: Array

    @classmethod
    def fit(cls, values: Array, n_factors: int) -> "HiddenFactors":
        """Standardise each gene and find the first principal components.

        Args:
            values: (genes, training people), ln units.
            n_factors: K.

        Raises:
            UserError: if there are not more genes and people than factors.
        """
        n_genes, n_people = values.shape
        if n_factors > cls.removable(n_genes, n_people):
            raise UserError(
                f"hidden_factors: {n_factors} components cannot be removed from {n_genes} expressed genes in {n_people} training"
                " people, since nothing would be left: lower hidden_factors."
            )
        mean, sd = values.mean(axis=1), values.std(axis=1)
        sd = np.where(sd < SMALLEST_SD, 1.0, sd)
        if n_factors == 0:
            return cls(mean, sd, np.zeros((n_genes, 0)), np.zeros(0))
        standard = (values - mean[:, None]) / sd[:, None]
        # One thread, because with more the last bits depend on their number.
        with threadpool_limits(limits=1):
            vectors, singular, _ = scipy.linalg.svd(standard, full_matrices=False)
        loadings = vectors[:, :n_factors]
        largest = loadings[np.argmax(np.abs(loadings), axis=0), np.arange(n_factors)]
        return cls(mean, sd, loadings * np.sign(largest), singular[:n_factors] ** 2 / np.sum(singular**2))

    @staticmethod
    def removable(n_genes: int, n_people: int) -> int:
        """Return the largest number of factors that leaves variation in so many genes and training people."""
        return max(0, min(n_genes, n_people - 1) - 1)

    def remove(self, values: Array) -> Array:
        """Expression without the factors, on the scale it came in.

        Each person is projected alone: nothing about one reaches another.

        Args:
            values: (genes, people), ln units, of anybody.
        """
        corrected = np.empty_like(values)
        with threadpool_limits(limits=1):
            for person in range(values.shape[1]):
                standard = (values[:, person] - self.mean) / self.sd
                left = standard - self.loadings @ (self.loadings.T @ standard)
                corrected[:, person] = left * self.sd + self.mean
        return corrected
