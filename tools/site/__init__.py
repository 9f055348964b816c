"""The site: gathers every page as plain Markdown, then lets a site builder make HTML of it.

    docs/  spec/  schemas/  records ──▶ assembly ──▶ out/docs/ (plain Markdown) ──▶ site/

No page depends on a plug-in or a hook of the builder: what is drawn, tabulated or linked stands in the tree
that the builder gets. So mkdocs and its successors are given the very same files (decision 0014).
"""
