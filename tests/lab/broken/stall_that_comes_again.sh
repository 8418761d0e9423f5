# The processor stalls whenever this runs, also alone.
# fails: LAB-STALL: [
# machine: arc
# kernels: 6.12
echo "rcu: INFO: rcu_preempt self-detected stall on CPU" >/dev/kmsg
