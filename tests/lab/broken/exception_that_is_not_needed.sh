# An exception of the kernel's log for what the kernel does not say.
# fails: the kernel did not say what '# log: WARNING: .* at drivers/nowhere' excepts
# machine: arc
# kernels: 6.12
# log: WARNING: .* at drivers/nowhere — there is no such place
