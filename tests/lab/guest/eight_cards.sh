# What scenarios with the machine eight_cards share: a card's number is that of its bus, 0000:01 to 0000:08. Sourced by those.
all_cards='1 2 3 4 5 6 7 8'
# cards_for VMID NUMBER...   its configuration
cards_for() {
    local vmid=$1 n
    shift
    for n in "$@"; do echo "hostpci$n: 0000:0$n:00"; done | conf "$vmid"
}
dirty_cards() { # NUMBER...
    local n
    for n in "$@"; do dirty 0000:0$n:00.2; done
}
expect_cards() { # NUMBER...   each is clean, and all of it on vfio-pci
    local n
    for n in "$@"; do
        expect_clean 0000:0$n:00.2
        expect_bound_to_vfio 0000:0$n:00.0 0000:0$n:00.1 0000:0$n:00.2
    done
}
