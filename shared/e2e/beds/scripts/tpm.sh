# A computer with a TPM, as the kernel gives it to programs.
set -eu
mkdir -p /tmp
cd /tmp
CARETAKER_TPM=1 tpm.test -test.run '^TestThisComputersTPM$' -test.v >/bed/out/said
