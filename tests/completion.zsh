# What zsh offers for a line: a zsh on a terminal of its own is given the line and a key, and tells what it would offer.
# Usage: zsh -f tests/completion.zsh DIRECTORY_OF_COMPLETIONS LINE     prints the words that are offered, in one line

# In that zsh: what is offered is printed, and not listed.
if [[ $1 == --inside ]]; then
    PS1= PS2=
    fpath=($2 $fpath)
    autoload -Uz compinit && compinit -D -u
    compadd() {
        local -a offered
        # Where a caller collects matches itself they are offered later.
        [[ " $* " == *' -'[ODA]' '* ]] || { builtin compadd -O offered "$@"; ((!$#offered)) || print -rl -- "OFFER:"${^offered}; }
        builtin compadd "$@"
    }
    # One key completes and says that it is done: with more keys waiting zsh would complete otherwise.
    complete_and_say() { zle complete-word; print DONE; }
    zle -N complete_and_say
    bindkey '^X' complete_and_say
    return
fi

# read_until TEXT   what the inner zsh prints up to a line with TEXT, in `printed`
read_until() {
    local line
    printed=''
    while zpty -r inner line; do
        printed+=$line
        [[ $line != *$1* ]] || return 0
    done
}
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "source ${0:A} --inside ${1:A}; print RE''ADY"
read_until READY
zpty -w -n inner "$2"$'\x18'
read_until DONE
zpty -d inner
local -aU words
for line in ${(f)${printed//$'\r'/}}; do
    [[ $line != *OFFER:* ]] || words+=("${line##*OFFER:}")
done
print -r -- ${(o)words}
