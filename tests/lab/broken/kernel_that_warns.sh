# Nothing is expected and the kernel warns: a line in its own words, in its log.
# fails: the kernel complained: [
# machine: arc
# kernels: 6.12
echo "WARNING: CPU: 0 PID: 1 at drivers/pci/pci.c:4942 pci_bridge_secondary_bus_reset+0x9c/0xb0" >/dev/kmsg
