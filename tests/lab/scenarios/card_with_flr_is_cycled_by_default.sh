# A card whose GPU has a function-level reset is cycled by default, and left alone under "auto". Where the kernel has reset it and then says
# ENOTTY, because it did not see the link come up, the hook takes that for no refusal: it waits for the card, and says that the reset was done.
# machine: flr
# slots: acpiphp pciehp
pve_host
conf 101 <<'CONF'
hostpci0: 0000:01:00
CONF
port=$devices/0000:00:1c.0
dirty_card 0000:01:00.2
expect_file_says $devices/0000:01:00.0/reset_method flr
settings <<'JSON'
{ "strategy": "auto" }
JSON
hook 101 pre-start
expect_exit 0
expect_still_dirty 0000:01:00.2

# What the kernel says of a reset that it has done. The ports of acpiphp's slots never report that their link is up (tests/lab/boot.bash).
answer=$({ echo 1 >$port/reset_subordinate; } 2>&1) || :
expect_clean 0000:01:00.2
case $(lab_slots) in
acpiphp) expect_equal "the kernel's answer to a reset that it has done" "Inappropriate ioctl for device" "${answer##*: }" ;;
pciehp) expect_equal "the kernel's answer to a reset that it has done" "" "$answer" ;;
esac

dirty 0000:01:00.2
settings <<'JSON'
{ "strategy": "cycle" }
JSON
hook 101 pre-start
expect_exit 0
expect_clean 0000:01:00.2
expect_bound_to_vfio 0000:01:00.0 0000:01:00.1 0000:01:00.2
expect_host_as_before
expect_output "recovered the GPU in"
expect_no_output "refuses to reset"
expect_no_output "NOT reset"
tr -d '\n' </run/pve-gpu-hook/101.json | sed 's/  *//g; s/{/\n{/g' | grep '"op":"reset"' >$lab_run/reset
expect_file_says $lab_run/reset '"target":"0000:00:1c.0","result":"done"'
if [ -n "$answer" ]; then
    expect_file_says $lab_run/reset "afterthekernelhadgivenupwaiting"
else
    expect_file_lacks $lab_run/reset "afterthekernelhadgivenupwaiting"
fi
