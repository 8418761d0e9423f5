# Proxmox has reserved the GPU for another VM that is about to start: its card is not touched. A reservation that has ended does not count.
# machine: arc
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
reserve 0000:03:00.0 102 "time:$(($(date +%s) + 300))"
remember 0000:03:00.0 0000:04:00.0
hook 101 pre-start
expect_exit 1
expect_output 102
expect_file_says /run/pve-gpu-hook/101.json in-use
expect_untouched 0000:03:00.0 0000:04:00.0
expect_still_dirty 0000:05:00.0

: >/run/qemu-server/pci-id-reservations
reserve 0000:03:00.0 102 time:1
hook 101 pre-start
expect_exit 0
expect_clean 0000:05:00.0
