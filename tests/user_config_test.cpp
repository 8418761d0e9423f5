#include "catch.hpp"
#include "proxmox/user_config.hpp"

using namespace pvegpu;

namespace {

constexpr std::int64_t now = 1'700'000'000;
using Tokens = std::vector<std::string>;

// Of a token with the user's privileges, and one with its own.
std::string with(const std::string& acl)
{
    return "user:root@pam:1:0:::admin@example.com:::\n"
           "user:tofu@pve:1:0::::::\n"
           "token:tofu@pve!all:0:0:\n"
           "token:tofu@pve!some:0:1:\n"
           "\n"
           "group:builders:tofu@pve,other@pve::\n"
           "\n"
           "role:Builder:VM.Audit,VM.Clone,VM.Config.Disk:\n"
           "role:Watcher:VM.Audit:\n"
           "\n" +
           acl;
}

} // namespace

TEST_CASE("a token may clone where its user may, and one with privileges of its own where both may",
          "[proxmox][users]")
{
    const auto tokens = [](const std::string& acl) { return cloning_tokens(with(acl), now); };
    CHECK(tokens("acl:1:/:tofu@pve:PVEVMAdmin:\n") == Tokens{"tofu@pve!all"});
    CHECK(tokens("acl:1:/:tofu@pve,tofu@pve!some:Builder:\n") == Tokens{"tofu@pve!all", "tofu@pve!some"});
    CHECK(tokens("acl:1:/:tofu@pve!some:Builder:\n").empty()); // its user may not
    CHECK(tokens("acl:1:/pool/gpu:@builders:Watcher,Builder:\n") == Tokens{"tofu@pve!all"});
    CHECK(tokens("acl:0:/vms/9000:tofu@pve:PVETemplateUser:\n") == Tokens{"tofu@pve!all"});
}

TEST_CASE("a token that only looks, or has to do with other things than VMs, may not clone",
          "[proxmox][users]")
{
    const auto tokens = [](const std::string& acl) { return cloning_tokens(with(acl), now); };
    CHECK(tokens("").empty());
    CHECK(tokens("acl:1:/:tofu@pve,tofu@pve!some:PVEAuditor,Watcher:\n").empty());
    CHECK(tokens("acl:1:/storage:tofu@pve:Administrator:\n").empty());
    CHECK(tokens("acl:1:/:@watchers:Builder:\n").empty());
    CHECK(tokens("acl:1:/:other@pve:Builder:\n").empty());
}

TEST_CASE("a token of root may clone with root's privileges, though root stands in no list",
          "[proxmox][users]")
{
    CHECK(cloning_tokens("token:root@pam!tofu:0:0:\n", now) == Tokens{"root@pam!tofu"});
    CHECK(cloning_tokens("token:root@pam!graphs:0:1:\nacl:1:/:root@pam!graphs:PVEAuditor:\n", now).empty());
    CHECK(cloning_tokens("token:root@pam!tofu:0:1:\nacl:1:/:root@pam!tofu:PVEAdmin:\n", now) ==
          Tokens{"root@pam!tofu"});
}

TEST_CASE("what has expired, is disabled, or is no token, may nothing", "[proxmox][users]")
{
    const auto rest = std::string("acl:1:/:tofu@pve:PVEAdmin:\n");
    const auto tokens = [&](const std::string& lines) { return cloning_tokens(lines + rest, now); };
    CHECK(tokens("user:tofu@pve:1:0:\ntoken:tofu@pve!a:1700000001:0:\n") == Tokens{"tofu@pve!a"});
    CHECK(tokens("user:tofu@pve:1:0:\ntoken:tofu@pve!a:1700000000:0:\n").empty());
    CHECK(tokens("user:tofu@pve:1:1:\ntoken:tofu@pve!a:0:0:\n").empty());
    CHECK(tokens("user:tofu@pve:0:0:\ntoken:tofu@pve!a:0:0:\n").empty());
    CHECK(tokens("token:tofu@pve!a:0:0:\n").empty()); // its user is gone
    CHECK(tokens("user:tofu@pve:1:0:\ntoken:tofu@pve:0:0:\ntoken:tofu@pve!:0:0:\ntoken\n:\n").empty());
    CHECK(cloning_tokens("", now).empty());
}
