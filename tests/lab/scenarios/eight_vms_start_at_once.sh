# Eight VMs with a card each start at the same moment, as at the boot of a host: each gets its card, one after the other.
# turn: 2
# machine: eight_cards
# timeout: 300
pve_host
for n in 1 2 3 4 5 6 7 8; do
    echo "hostpci0: 0000:0$n:00" | conf 10$n
    dirty 0000:0$n:00.2
done
for n in 1 2 3 4 5 6 7 8; do start_hook vm$n 10$n pre-start; done
for n in 1 2 3 4 5 6 7 8; do
    wait_hook vm$n
    expect_exit 0
    expect_clean 0000:0$n:00.2
    expect_bound_to_vfio 0000:0$n:00.0 0000:0$n:00.1 0000:0$n:00.2
done
expect_host_as_before
