# The reader is killed at each moment: while it is armed, between the guest's reset and its request, after that, while the guest is started,
# and when the guest switches itself off. Another one takes over within five seconds, and the guest ends as if nothing had happened; where
# 'qm cleanup' was over before there was a request, the reader starts it, once it is sure that nobody else does.
# machine: arc
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 900
# turn: 8
how=kill
. /lab/readers.sh

say "--- $how: QEMU has ended, and so has 'qm cleanup'"
reader=$(reader_pid 101)
at after-cleanup <<SCRIPT
$(killed $how)
SCRIPT
dirty "$usb"
kill -STOP "$reader"
vm_do 101 r
# Nobody else starts it: the reader waits until nobody else can any more, a minute and a half.
lab_patience=180
runs_again
lab_patience=60
expect_was_at after-cleanup

say "--- kill: and the guest switches itself off meanwhile"
reader=$(reader_pid 101)
ended=$(grep -c '^cleanup' "$lab_run/tasks")
kill -KILL "$reader"
vm_do 101 p
expect_off 101 $ready $((ended + 1))
