// Our monitor in a VM's `args`: what stands beside it stays to the letter.
#include "catch.hpp"
#include "proxmox/vm_args.hpp"

using namespace pvegpu;

namespace {

const std::string ours(monitor_words);

std::vector<std::string> texts(std::string_view args)
{
    std::vector<std::string> words;
    for (const auto& word : args_words(args).words) words.push_back(word.text);
    return words;
}

} // namespace

TEST_CASE("words of 'args' are those of a shell, each with its place", "[vm-args]")
{
    const std::string args = R"(-a "b c"'d' e\ f '')";
    CHECK(texts(args) == std::vector<std::string>{"-a", "b cd", "e f", ""});
    const auto words = args_words(args).words;
    CHECK(args.substr(words[1].begin, words[1].end - words[1].begin) == R"("b c"'d')");
    CHECK(args_words("a 'b").open_quote);
    CHECK_FALSE(args_words("a 'b'").open_quote);
}

TEST_CASE("what stands in 'args' comes back to the letter when our words are taken out", "[vm-args]")
{
    for (const std::string args :
         {"", "-cpu host", "-smbios 'type=1,serial=a  b'  -no-hpet",
          R"(-name "x y" -mon chardev=c,mode=control)",
          "-chardev socket,id=mine,path=/run/x,server=on,wait=off -mon chardev=mine,mode=control",
          "a  b   c"}) {
        INFO(args);
        const auto with = with_monitor(args);
        REQUIRE(with);
        CHECK(has_monitor(*with));
        CHECK(with_monitor(*with) == with); // twice is once
        CHECK(without_monitor(*with) == args);
        CHECK(without_monitor(args) == args);
        CHECK(without_monitor(*with + " -added later") ==
              (args.empty() ? "-added later" : args + " -added later"));
        CHECK(without_monitor("-before " + *with) == (args.empty() ? "-before" : "-before " + args));
    }
}

TEST_CASE("our words are found and taken out between others, and apart from each other", "[vm-args]")
{
    const std::string apart = "-a -chardev socket,id=pve-gpu-hook,path=,server=on,wait=off -b "
                              "-mon chardev=pve-gpu-hook,mode=control -c";
    CHECK(has_monitor(apart));
    CHECK(without_monitor(apart) == "-a -b -c");
    CHECK(with_monitor("-mon chardev=pve-gpu-hook,mode=control -c") == "-c " + ours); // half of them
}

TEST_CASE("nothing is added where a quote is open, or something else has our name", "[vm-args]")
{
    CHECK_FALSE(with_monitor("-name 'x"));
    CHECK_FALSE(with_monitor("-name x\\"));
    CHECK_FALSE(with_monitor("-chardev socket,id=pve-gpu-hook,path=/tmp/x,server=on"));
    CHECK_FALSE(with_monitor(R"(-object '{"id":"pve-gpu-hook"}')"));
    CHECK(with_monitor("-chardev socket,id=pve-gpu-hook-2,path=/tmp/x"));
    CHECK_FALSE(has_monitor("'" + ours)); // QEMU gets no word of it
}

TEST_CASE("'args' of the next start are the pending ones, and snapshots that have our words are named",
          "[vm-args]")
{
    const std::string with = "args: " + ours + "\n";
    CHECK(read_vm_args(with + "memory: 1\n").next == ours);
    const auto pending =
        read_vm_args("args: -a\n\n[PENDING]\n" + with + "\n[before]\nargs: -a\n[after]\n" + with);
    CHECK(pending.live == "-a");
    CHECK(pending.next == ours);
    CHECK(pending.snapshots == std::vector<std::string>{"after"});
    CHECK(read_vm_args("args: -a\n[PENDING]\ndelete: vga,args\n").next.empty());
    CHECK(read_vm_args("args: -a\n[PENDING]\ndelete: vga\n").next == "-a");
    CHECK(read_vm_args("[one]\n" + with).live.empty());
}
