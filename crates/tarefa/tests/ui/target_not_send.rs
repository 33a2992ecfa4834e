//! A value without bytes that must stay on its thread does not get to another one in a target.
use std::marker::PhantomData;

#[derive(Clone, Copy)]
struct OnThisThread(PhantomData<*const ()>);

fn main() {
    let proof = OnThisThread(PhantomData);
    let _ = tarefa::Thread::new(
        move || {
            let _proof = &proof;
        },
        (),
    );
}
