# Eight ordinary cards of three functions: a guest that has one of them, and one that has them all.
. /bench/measure.sh
pve_host
conf 111 <<'CONF'
hostpci0: 0000:01:00
CONF
for n in 1 2 3 4 5 6 7 8; do echo "hostpci$((n - 1)): 0000:0$n:00"; done | conf 101
all=
for n in 1 2 3 4 5 6 7 8; do all="$all 0000:0$n:00.0 0000:0$n:00.1 0000:0$n:00.2"; done

measure one_of_eight 111 0000:01:00.0 0000:01:00.1 0000:01:00.2
# shellcheck disable=SC2086 # a list of words
measure eight_cards 101 $all
