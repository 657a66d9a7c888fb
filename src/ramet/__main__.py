from ramet.cli import main

main()
