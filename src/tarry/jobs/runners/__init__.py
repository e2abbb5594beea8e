"""What runs jobs: threads, processes, and the loop itself."""
