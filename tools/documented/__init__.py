"""Documented: runs what the pages show, and compares what comes with what stands there (decision 0017).

    page ──▶ blocks ──▶ commands ──▶ terminals (bash in a copy of the tree) ──▶ lines ⇄ lines of the page

A fenced block says in its first line how it is taken:

    ```console                          commands behind `$ ` and all that they print
    ```console terminal=relay stays     in a terminal of its own; the last command goes on when the block ends
    ```console terminal=relay           without a `$ ` in front: what that command prints further
    ```console status=1                 the last command ends with this exit status
    ```console counts=vary              whole numbers may be others as well, by a quarter or by five
    ```sh                               commands, whatever they print
    ```toml file=relay.toml             a file that the commands below it find
    ```python                           a program; it runs and ends well
    ```console norun="why"              not run, and why

In the lines that are printed, `…` stands for anything in a line, and a line `…` for any lines. Times, numbers
with a point, fingerprints, call ids and addresses may be others; a fingerprint or a call id that stands twice
has to be the same both times, and what was printed replaces it in the commands that follow. Ports that the
commands name are replaced by free ones. `^C` interrupts what runs.

What a page shows of one call is of one call: its times, its packets and its `--duration` fit each other,
at both ends and at the relay (calls.py, decision 0018). `--write` writes every line from one run, and keeps
the `…`; what a block of `text` took from an older run is then to be changed by hand.
"""
