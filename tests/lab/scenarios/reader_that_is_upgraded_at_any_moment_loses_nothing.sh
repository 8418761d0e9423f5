# The reader is restarted, as an upgrade of the package does it, at each moment: while it is armed, between the guest's reset and its request,
# after that, and while the guest is started. The guest is started anew each time, with a clean card.
# machine: arc
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 900
# turn: 8
how=restart
. /lab/readers.sh
