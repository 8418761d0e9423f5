# A program of the host uses the GPU through its native driver: the start is refused and names the program.
# machine: arc
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
hold display open /dev/dri/card0
remember 0000:03:00.0 0000:04:00.0
hook 101 pre-start
expect_exit 1
expect_output lab-hold
expect_file_says /run/pve-gpu-hook/101.json in-use
expect_untouched 0000:03:00.0
expect_still_dirty 0000:05:00.0

release display
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0
expect_clean 0000:05:00.0
