/* all.h: the text of every kernel in kernels.def, for the files that build their tables from that list. */
#ifndef NSAMP_KERNELS_SYSTEMS_ALL_H
#define NSAMP_KERNELS_SYSTEMS_ALL_H

#include "kernels/systems/langevin_equi.h"
#include "kernels/systems/langevin_gauss.h"
#include "kernels/systems/langevin_score.h"
#include "kernels/systems/mh_spiking.h"
#include "kernels/systems/rsn.h"

#endif
