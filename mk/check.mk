# check.mk: demo, check and the tests.
## make test       build and run the tests, nothing installed
test: $(TEST_BIN) $(BUILD)/nsamp
	@for t in $(TEST_BIN); do $$t || exit 1; done
## make check      install what is missing, build, run the tests
check: all test
