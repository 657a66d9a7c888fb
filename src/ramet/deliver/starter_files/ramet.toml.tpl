[app]
name = "{{ name }}"
modules = ["{{ package }}.catalog", "{{ package }}.orders"]

# One process. The first topology is the one that `ramet up` takes.
[topology.seed.services]
main = { modules = ["*"] }

# The catalog is read most, so it runs apart and twice. "*" is every module that no other service names.
[topology.grown.services]
web     = { modules = ["*"] }
catalog = { modules = ["catalog"], instances = 2 }
