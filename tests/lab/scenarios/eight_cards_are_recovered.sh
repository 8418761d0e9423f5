# One VM with eight cards: all of them are reset, and all their functions are on vfio-pci.
# turn: 2
# machine: eight_cards
# slots: acpiphp pciehp
# timeout: 300
pve_host
for n in 0 1 2 3 4 5 6 7; do echo "hostpci$n: 0000:0$((n + 1)):00"; done | conf 101
for n in 1 2 3 4 5 6 7 8; do dirty 0000:0$n:00.2; done
hook 101 pre-start
expect_exit 0
for n in 1 2 3 4 5 6 7 8; do
    expect_clean 0000:0$n:00.2
    expect_bound_to_vfio 0000:0$n:00.0 0000:0$n:00.1 0000:0$n:00.2
done
expect_host_as_before
