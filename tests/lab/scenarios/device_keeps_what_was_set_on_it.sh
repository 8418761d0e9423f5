# What somebody has set on the GPU is as before when its card was removed and found again, by a whole start and by one that was killed on the way.
# machine: flr
# slots: acpiphp pciehp
pve_host
conf 101 <<'CONF'
hostpci0: 0000:01:00.0
CONF
gpu=$devices/0000:01:00.0
echo pm >$gpu/reset_method
echo 0 >$gpu/msi_bus
remove 0000:01:00.0
rescan 0000:01
expect_equal "the first reset method after remove and rescan alone" flr "$(cut -d " " -f 1 $gpu/reset_method)"
echo pm >$gpu/reset_method
echo 0 >$gpu/msi_bus
hook 101 pre-start
expect_exit 0
expect_equal reset_method pm "$(cat $gpu/reset_method)"
expect_equal msi_bus 0 "$(cat $gpu/msi_bus)"
