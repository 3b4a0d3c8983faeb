# install.mk: make install.
