"""The arguments of commands whose programs take seconds to import, in modules that do not."""
