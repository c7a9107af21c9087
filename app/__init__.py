"""Everything a page shares: frame, controls, caches, figures, theme, syllabus."""
