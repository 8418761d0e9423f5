# A guest without hostpci lines, and a phase that does nothing, end at once and change nothing.
# machine: arc
pve_host
conf 101 <<'CONF'
memory: 512
CONF
dirty_card 0000:05:00.0
remember 0000:03:00.0 0000:04:00.0 0000:05:00.0
for phase in pre-start post-start pre-stop post-stop; do
    hook 101 $phase
    expect_exit 0
done
hook 999 pre-start
expect_exit 1
expect_untouched 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_still_dirty 0000:05:00.0
expect_host_as_before
