# Sixteen cards of two functions: what a guest with one, two, four, eight and all of them costs.
. /bench/measure.sh
pve_host
for cards in 1 2 4 8 16; do
    functions=
    n=0
    while [ "$n" -lt "$cards" ]; do
        card=$(printf '0000:%02x:00' $((n + 1)))
        echo "hostpci$n: $card"
        functions="$functions $card.0 $card.1"
        n=$((n + 1))
    done >/bench/conf
    conf "$((100 + cards))" </bench/conf
    # shellcheck disable=SC2086 # a list of words
    measure "cards_$cards" "$((100 + cards))" $functions
done
