# What zsh offers for a line: a zsh on a terminal of its own is given it and a tab, and says what it would add.
# Usage: zsh -f tests/completion.zsh DIRECTORY_OF_COMPLETIONS LINE     prints the words that are offered, in one line
zmodload zsh/zpty
zpty -b inner zsh -f -i
# Every word that is offered is printed instead of listed.
zpty -w inner "PS1= PS2= fpath=($1 \$fpath); autoload -Uz compinit && compinit -D -u
compadd() {
    local -a offered; builtin compadd -O offered \"\$@\"; (( \$#offered )) && print -rl -- \"OFFER:\"\${^offered} >&2
    builtin compadd \"\$@\"
}
zstyle ':completion:*' list-grouped false; print READY"
local line= text=
while zpty -r inner line; do text+=$line; [[ $line == *READY* ]] && break; done
zpty -w -n inner "$2"$'\t\x04'
zpty -w -n inner $'\x15'"print DO''NE"$'\n'
local -aU words
while zpty -r inner line; do
    [[ $line != *OFFER:* ]] || words+=("${${line##*OFFER:}%%[[:space:]]#}")
    [[ $line != *DONE* ]] || break
done
zpty -d inner
print -r -- $words
