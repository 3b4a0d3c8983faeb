/* topics.c: what `nsamp list` and `nsamp help` say of systems and targets. Equations here are for people; the
 * ones that run are in src/kernels/systems/ and src/host/targets/. */
#include "cli/cli.h"

const cli_topic cli_topics[] = {
    {"langevin", "system", "Langevin diffusion, Euler-Maruyama, naive or natural-gradient metric",
     "x <- x + dt G score(x) + sqrt(2 dt) G^(1/2) xi, with xi ~ N(0, I), score = grad log p of the target, "
     "and G = I "
     "(geometry naive) or G = the target's covariance (natural). Every target with a density has a score.\n\n"
     "Law, for Gaussian targets: the covariance P of the iterates solves P = (I - dt K) P (I - dt K)^T + 2 "
     "dt G, "
     "K = G Sigma^-1, exactly; along an eigenvalue l of Sigma the naive scheme has variance l / (1 - dt/(2 "
     "l)) and is "
     "stable below dt = 2 l_min; the natural scheme has Sigma / (1 - dt/2). Integrated autocorrelation times "
     "follow "
     "from the same recursion.\n\n"
     "Time has no unit: one unit is the relaxation time of a coordinate of variance 1 in the naive "
     "metric.\n\n"
     "Fails when: dt is above the bound of stability (the chains that diverge are counted and named)."},
    {"rsn", "system", "reservoir-sampler network, trained by nsamp train",
     "dx = [-x + W1 phi(W2 x + b)] dt + sqrt(2) dB: x, m outputs of a recurrent network of n reservoir "
     "units. The "
     "reservoir r, n numbers, obeys dr = [-r + phi(W_rec r + b)] dt + sigma dB with W_rec = W2 W1 and x = W1 "
     "r: the same "
     "law and, within rounding, the same path (level = reservoir). In denoiser form the noise is sqrt(2) "
     "sigma, "
     "time in units of sigma^2.\n\n"
     "Samples: the density whose score the network learnt: the data blurred by sigma. No exact law: nsamp "
     "stats "
     "compares with the target.\n\n"
     "Source: Chen, Jiang, Rao and Shea-Brown, NeurIPS 2023 (arXiv 2308.11809)."},
    {"mh-spiking", "system", "spiking network whose spikes are Metropolis-Hastings proposals",
     "In each step one neuron j of n, chosen uniformly, spikes with probability min(1, exp(g [V_j - "
     "O_jj/2])), "
     "O = Gamma^T Sigma^-1 Gamma, V = Gamma^T Sigma^-1 (mu - z (1 - dt/tau)) and z = Gamma r, the readout of "
     "the "
     "leaky spike counts r. Gamma = [A, -A] (naive) or Sigma^(1/2) [A, -A] (natural).\n\n"
     "Law: without leak and with gain 1, exact Metropolis: N(mu, Sigma) is stationary, and neuron j accepts "
     "2 Phi(-sqrt(O_jj)/2) of its proposals. With leak it is approximate.\n\n"
     "Source: Masset, Zavatone-Veth, Connor, Murthy and Pehlevan, NeurIPS 2022."},
    {"equicorrelated", "target", "Gaussian with one variance and one correlation, any dimension",
     "N(mean, variance [(1 - rho) I + rho 1 1^T]), -1/(dim - 1) < rho < 1. Needs no dim x dim matrix: a step "
     "costs "
     "O(dim)."},
    {"gaussian", "target", "Gaussian with mean and covariance from a file",
     "N(mean, Sigma) from target.file: text (the mean on the first line, then the rows of the covariance) or "
     "netCDF "
     "(variables mean and cov); a covariance that is not positive definite is refused "
     "with the "
     "failing pivot."},
    {"mixture", "target", "mixture of Gaussians, any number of components, any dimension",
     "sum_k w_k N(m_k, s_k^2 I), the weights normalised to sum to 1. target.means holds the means one after "
     "the other, "
     "dim numbers each. Full covariances come from target.file: for each component a line with weight and "
     "mean, then "
     "the rows of its covariance."},
    {"laplace-copula", "target", "heavy tails: two Gaussian copulas with Laplace marginals, 2-D",
     "Half of the mass has correlation +rho, half -rho, in the Gaussian copula; each marginal is Laplace "
     "with variance 1. "
     "Covariance 0, marginal excess kurtosis exactly 3."},
    {"heart", "target", "the heart-shaped density, 2-D",
     "p(x) proportional to exp(-((0.8 x1^2 + (x2 - cbrt(x1^2))^2) / 4)^2)."},
    {"images", "target", "images in the space of their principal components",
     "IDX files (MNIST's format), gz or not, under the keys of [data]: each image divided by its L2 norm, "
     "then PCA. "
     "Without data.dir, the 10,000 digits that come with nsamp."},
    {NULL, NULL, NULL, NULL},
};
